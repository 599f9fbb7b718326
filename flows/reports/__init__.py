"""Reports that are kept: pages that need no network, pictures, and tables that a terminal and Markdown share."""
