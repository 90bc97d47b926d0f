"""The library of the pipeline, in packages that each have one meaning.

A package imports from itself and from those that its line names; nothing imports `commands`.
`encoders` and `matchers` are drawers: one file for each value of a parameter, loaded by that name
and never imported by others. tests/pipeline/test_imports.py holds this table to the code.

package     what it is                                 imports
runtime     how stages start, read, write and resume    -
repository  what DVC and git recorded                  runtime
places      the prepared set: images and positives     runtime
datasets    foreign forms -> ground truth, and back    places runtime
features    images -> frozen local features            places runtime
encoders    one file for each `trunk.encoder`          features runtime
weights     starting weights, read strictly            features runtime
network     local features -> descriptor               features places
retrieval   descriptors -> rankings                    runtime
evaluation  how good, how sure                         places retrieval
training    epochs of mining and losses                evaluation features network places runtime
reranking   rankings verified         console features matchers network retrieval runtime
matchers    one file for each `rerank.method`, and base    console images runtime
report      pages and their templates                  evaluation places reranking retrieval runtime
demo        the drawn street                           places runtime
commands    what a person types                        all
"""
