"""How the embedded default model is made from nothing: perception, then language, then the adapter."""
