# CTest runs tests side by side (scripts/test.sh: as many as there are cores). A test takes one core unless this page says
# more: what runs ranks or several threads takes two; what measures time, or acts at a moment of a run, has the machine for itself.
foreach(test parallel.ranks parallel.shard parallel.arena parallel.reformer commands.same_bits commands.fp16 commands.memory commands.sample
             commands.waiting peers.numpy peers.torch bundle.elsewhere restart.checkpoint)
  set_tests_properties(${test} PROPERTIES PROCESSORS 2)
endforeach()
foreach(test commands.bench commands.check slurm.cluster restart.stop restart.requests restart.faults restart.lock restart.disk
             restart.kill_storm restart.kill_storm_1000 parallel.gradients_on_3_ranks parallel.gradients_on_4_ranks)
  set_tests_properties(${test} PROPERTIES RUN_SERIAL ON)
endforeach()
