"""Sans-IO codecs: bytes in, values out. Time and nonces are arguments."""
