"""How a network runs over pixels: device and precision, tiles in space, and what stays resident."""
