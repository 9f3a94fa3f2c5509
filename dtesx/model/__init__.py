"""The words of the product as frozen values. No I/O; imports the standard library only."""
