"""What surrounds the networks that colourise: the published preparation of frames, and the way back to pictures."""
