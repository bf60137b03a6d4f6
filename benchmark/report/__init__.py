"""How tables look: one plain table for every text format, and the pages."""
