// @ts-check
/** Writes the types of Schemas out in TypeScript, without Effect. */
import * as Schema from "effect/Schema"

/** @typedef {import("effect/SchemaAST").AST} AST */

/** @type {(ast: AST) => string} */
const typeOf = (ast) => {
  switch (ast._tag) {
    case "StringKeyword":
      return "string"
    case "NumberKeyword":
      return "number"
    case "BooleanKeyword":
      return "boolean"
    case "UnknownKeyword":
      return "unknown"
    case "Literal":
      return JSON.stringify(ast.literal)
    case "Refinement":
      return typeOf(ast.from)
    // Written down before what it refers to; none refers to itself.
    case "Suspend":
      return typeOf(ast.f())
    case "Union":
      return ast.types.map(typeOf).join(" | ")
    case "TupleType": {
      const [rest] = ast.rest
      if (ast.elements.length > 0 || rest === undefined) break
      return `ReadonlyArray<${typeOf(rest.type)}>`
    }
    case "TypeLiteral": {
      const fields = ast.propertySignatures.map(
        ({ isOptional, name, type }) => `readonly ${String(name)}${isOptional ? "?" : ""}: ${typeOf(type)}`
      )
      const rest = ast.indexSignatures.map(
        ({ parameter, type }) => `readonly [name: ${typeOf(parameter)}]: ${typeOf(type)}`
      )
      return `{ ${[...fields, ...rest].join("; ")} }`
    }
  }
  throw new Error(`there is no type for a ${ast._tag}: write its case in scripts/lib/schema-types.mjs`)
}

/** A declaration of the type of each Schema in a module, by its name. @param {Readonly<Record<string, unknown>>} module */
export const typesOf = (module) =>
  Object.entries(module)
    .flatMap(([name, schema]) =>
      Schema.isSchema(schema) ? [`export type ${name} = ${typeOf(Schema.typeSchema(schema).ast)}\n`] : []
    )
    .join("")
