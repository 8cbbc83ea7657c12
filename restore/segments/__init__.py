"""Long work cut into segments that are kept, so that it can be stopped, killed and taken up again at any time."""
