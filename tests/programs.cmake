weft_python_test(parallel.ranks parallel/ranks_test.py parallel 300)
weft_python_test(restart.stop restart/stop_test.py restart 300)
