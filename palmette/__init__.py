"""palmette: convolutional backbones that fit an iPhone, found, timed, trained and shipped."""

__version__ = "0.1.0"
