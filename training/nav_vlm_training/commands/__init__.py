"""The subcommands of `nav-vlm-train`, a module each."""
