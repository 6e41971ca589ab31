"""Other vision-language models beside ours: any of transformers, tuned with the same budget and judged the same."""
