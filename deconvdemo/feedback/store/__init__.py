"""Where feedback is kept first: the database and the blobs."""
