"""Many trainings from one YAML: trials that go on where they stopped, one table, one plot."""
