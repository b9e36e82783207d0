"""Safety of inputs and outputs: classifiers, and a guard that lets nothing through unseen."""
