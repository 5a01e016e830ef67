"""One page that shows it all: the chain, the derivation, the training and how to get it again, as one offline file."""
