"""What people call commands, options and arguments that have another name here: data."""

OPTIONS = {
    "--teacher": "t teachers teacher_model big large",
    "--student": "s students student_model small model arch",
    "--data": "d dataset data_dir data_path data_root dataset_dir train_dir images input_dir root",
    "--out": "o output out_dir output_dir outdir save_dir save_path output_path result_dir log_dir "
    "save work_dir",
    "--recipe": "r config cfg conf c method methods yaml preset",
    "--device": "gpu gpus cuda gpu_id accelerator cpu mps use_cuda no_cuda",
    "--again": "force f overwrite restart fresh no_resume from_scratch",
    "--seed": "random_seed manual_seed",
    "--set": "override option opt param",
    "--dry-run": "dry n plan estimate simulate",
    "--yes": "y assume_yes",
    "--json": "j as_json output_json",
    "--int8": "quantize quant quantise quantization int8_quantize ptq q",
    "--fp16": "half float16",
    "--format": "f to type",
    "--batch": "b bs batch_size",
    "--size": "img_size image_size imgsz input_size",
    "--min": "minimum threshold",
    "--max": "maximum",
    "--seeds": "n_seeds num_seeds repeats",
    "--against": "release reference baseline_run compare_to versus vs",
    "--junit": "junitxml junit_xml",
}
"""An option: what people call it. One that a command lacks is passed over."""

COMMANDS = {
    "distill": "compress distillation kd student transfer shrink teach",
    "train": "fit teacher finetune fine_tune pretrain learn run",
    "evaluate": "eval test validate val score measure compare benchmark bench report",
    "export": "convert deploy save onnx to_onnx",
    "export --int8": "quantize quantise quantization quant int8",
    "predict": "infer inference classify label prediction",
    "inspect": "info summary describe stat stats profile",
    "doctor": "diagnose",
    "list models": "teachers students zoo",
    "list runs": "ls experiments history",
    "list runs --prune": "prune clean clear rm delete gc",
    "recipe show": "config init new template",
    "--help": "help usage man",
    "--version": "version v",
}
"""A command: what people call it."""

IN_GROUPS = {
    "list recipes": "recipe_list recipe_ls",
    "list models": "list_teachers list_students list_networks list_architectures list_families",
    "recipe show": "recipe_new recipe_print recipe_get recipe_view recipe_create recipe_init",
    "recipe check": "recipe_validate recipe_lint recipe_verify",
}
"""The same of words behind a group: `kd list teachers`."""

SAID = {
    "resume": "the same command again goes on where it stopped",
    "checkpoint": "the same command again goes on where it stopped",
    "continue": "the same command again goes on where it stopped",
    "verbose": "what is said is in the run's run.log; --debug shows the traceback of an error",
    "v": "kd --version; what is said is in the run's run.log",
    "quiet": "2>/dev/null leaves the result alone",
    "silent": "2>/dev/null leaves the result alone",
    "split": "kd evaluate and kd export measure on the test split",
    "onnx": "kd export writes ONNX unless --format says another",
    "fp32": "kd export writes float32; --fp16 and --int8 are files beside it",
    "workers": "KD_WORKERS=4 in the environment",
    "num_workers": "KD_WORKERS=4 in the environment",
    "threads": "KD_THREADS=4 in the environment",
    "num_threads": "KD_THREADS=4 in the environment",
    "runs_dir": "KD_RUNS=FOLDER in the environment",
    "cache_dir": "KD_CACHE=FOLDER in the environment",
    "wandb": "metrics.jsonl in the run's folder has a line per epoch",
    "tensorboard": "metrics.jsonl in the run's folder has a line per epoch",
}
"""Options that kd has not, and what there is instead."""

ARGUMENTS = {
    "model": ("arch", "name", "network", "m", "teacher", "student"),
    "run": ("model", "checkpoint", "ckpt", "weights", "path", "run_dir", "m"),
    "thing": ("model", "checkpoint", "ckpt", "weights", "path", "run", "run_dir", "m"),
    "data": ("dir", "folder", "path", "dataset", "data_dir", "d"),
    "images": ("image", "img", "input", "file", "source", "i"),
    "name": ("recipe", "config"),
}
"""An argument: options that people give it by."""
