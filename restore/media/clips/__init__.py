"""Clips: opening, probing, decoding and writing them, all through PyAV."""
