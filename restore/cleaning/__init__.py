"""How old film is cleaned: a few frames at a time, in tiles where a frame does not fit, nothing but its luminance."""
