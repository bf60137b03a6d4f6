"""Campaigns: damage made at random, many times over, and what the product makes of it. See docs/reliability.md."""
