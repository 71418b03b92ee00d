"""What tests make real things with: channels, wheels, servers on loopback, and the policy for missing parts."""
