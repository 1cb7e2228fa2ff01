"""How accuracies of single networks get measured: tasks, what runs them, and the driver's loop."""
