"""What ``specmine doctor`` looks at; a check takes the settings and yields what it found."""
