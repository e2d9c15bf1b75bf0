"""Chapter 5: backpropagation."""
