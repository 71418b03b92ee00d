"""The names that users of the Azure ML v1 SDK know, without a cloud behind them."""
