from gifting.cli import main

main()
