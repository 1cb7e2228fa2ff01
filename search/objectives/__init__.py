"""What a search minimises and what it may not exceed: quantities of networks, ways to join them."""
