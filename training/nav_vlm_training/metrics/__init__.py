"""How like the reference an answer's text is: measures to set beside others' work; and how sure any figure is."""
