"""The built-in plugins. They come in through the entry-point group `tierkit`, as anybody's do."""
