/** The part of the compiler's package that is used; it comes without types. */
declare module "solc" {
  const solc: {
    /** Takes and gives JSON: https://docs.soliditylang.org/en/latest/using-the-compiler.html#input-description */
    compile(input: string): string;
    version(): string;
  };
  export = solc;
}
