"""Attacks: methods that win a metric without hearing more. A board has to expose them; it never ranks them."""
