"""Studies in which people judge images: designing them, their pages, reading and evaluating what comes back."""
