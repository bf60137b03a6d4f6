"""For authors of methods: write a package (`scaffold`), check it (`validate`), describe the interface (`interface`)."""
