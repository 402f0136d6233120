"""What single published scripts do in their own way: classes behind the engine's ports, each named after its recipe."""
