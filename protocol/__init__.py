"""What units and hub say to each other: messages, topics, codec, seals. No input or output happens here."""
