"""`python -m nav_vlm_node.cli` is `nav-vlm`."""

import sys

from nav_vlm_node.cli import main

sys.exit(main())
