"""What stands in front of a screen: questions, help, and lists to choose from."""
