"""Files: pictures and clips in and out, with everything that belongs to them."""
