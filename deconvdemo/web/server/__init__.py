"""Between the socket and the pages: bounds, ages, visitors, sentences for errors."""
