"""Where vectors and passages are kept to be searched: what a store must do, and the engines that do it."""
