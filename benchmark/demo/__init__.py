"""A page for a person with a sound: what methods draw of it, what they listened to, what they know it from."""
