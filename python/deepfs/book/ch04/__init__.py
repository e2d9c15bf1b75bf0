"""Chapter 4: learning."""
