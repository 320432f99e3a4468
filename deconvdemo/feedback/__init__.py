"""What people say about results: flags, stored so that none is lost, and exported as a dataset."""
