"""How good predictors are: what `palmette latency validate` prints and draws."""
