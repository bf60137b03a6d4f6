"""The report: a static site of a suite's board, its plots and a gallery of what every method drew for every clip."""
