// Lint of the pages. Undefined names are the type checker's business.
import js from "@eslint/js";

export default [
    js.configs.recommended,
    {
        languageOptions: { ecmaVersion: 2022, sourceType: "module" },
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            "no-undef": "off",
            "prefer-const": "error",
            "no-var": "error",
            "eqeqeq": "error",
            "curly": ["error", "multi-line"],
            "complexity": ["error", 12],
            "max-params": ["error", 6],
            "max-lines": ["error", 400],
        },
    },
];
