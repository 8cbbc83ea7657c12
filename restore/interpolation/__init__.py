"""Frames between frames: the times they are shown at, the frames that are copies, and the motion between two."""
