"""Faces: found, cut out, restored and put back."""
