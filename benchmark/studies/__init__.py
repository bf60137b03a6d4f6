"""Programs that answer a question about the suites: costs, galleries, upper bounds."""
