"""Does the wearer arrive? Floor plans, a walker who obeys what is said, episodes and how they are judged."""
