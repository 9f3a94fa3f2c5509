"""Target side: carry out operations below one directory, never outside it."""
